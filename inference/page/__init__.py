"""The web page: what it shows, what its buttons do, its layout, and the server. Only this package needs Gradio."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
os.environ["HF_HUB_OFFLINE"] = "1"
