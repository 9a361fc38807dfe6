"""What the light Binder may take."""

MOST_SIZE = 1e9
"""Bytes beyond repo2docker's base image, unpacked."""
MOST_MEMORY = 500e6
"""Bytes of JupyterLab's server and the kernel with the workbench open."""
MOST_SECONDS = 10
"""From the kernel's start to the first widget."""
