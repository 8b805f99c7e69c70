"""The container images of this project (`docker/`): what there is, under which tag, and how one gets onto an engine."""
