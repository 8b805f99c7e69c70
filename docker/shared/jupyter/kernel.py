"""The learner's Python as a notebook's kernel. ipykernel is JupyterLab's: it comes last on the path, and only in this process."""

import sys
import sysconfig

sys.path.pop(0)  # this file's own folder
sys.path.append(sysconfig.get_path("purelib", vars={"base": "/opt/jupyter", "platbase": "/opt/jupyter"}))

from ipykernel.kernelapp import launch_new_instance

launch_new_instance()
