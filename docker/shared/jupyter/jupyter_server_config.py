# JupyterLab in a container: reached through a published port, its token from JUPYTER_TOKEN (start-lab.sh refuses an empty one).
import os

c = get_config()  # noqa: F821
if "JUPYTERHUB_SERVICE_PREFIX" not in os.environ:  # a Hub says where it serves
    c.ServerApp.ip = "0.0.0.0"  # noqa: S104 - a container's own network
    c.ServerApp.port = 8888
    c.ServerApp.base_url = "/"
c.ServerApp.port_retries = 0  # the port is published: another one would be nobody's
c.ServerApp.open_browser = False
c.ServerApp.root_dir = "/workspace"
c.ServerApp.jpserver_extensions = {"jupyter_lsp": False, "notebook_shim": False}  # seconds to look for 20 servers
c.ServerApp.allow_remote_access = True  # the host name is that of the published port
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash"]}  # a login shell would put PATH back to the system's
c.PasswordIdentityProvider.allow_password_change = False
c.LabApp.extension_manager = "readonly"
c.LabApp.news_url = None
