"""Rendering: template folders made into subjects, bodies and headers; with `policy.letter` all that knows Jinja2."""

from mailer.policy.rendering.errors import RowRenderError
from mailer.policy.rendering.loading import load_template
from mailer.policy.rendering.template import Rendered, Template

__all__ = ["Rendered", "RowRenderError", "Template", "load_template"]
