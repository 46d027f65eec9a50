"""The widget: a script, frames and oEmbed, by which other sites show what is published here."""

from app.widget import frames, oembed, script
from app.widget.sites import Embedding, read_sites

routers = (script.router, frames.router, oembed.router)

__all__ = ["Embedding", "read_sites", "routers"]
