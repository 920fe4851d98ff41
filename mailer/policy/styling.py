"""Styling: the style sheets of an HTML part written into its elements, for readers that drop `<style>`."""

from mailer.policy.header_values import UnsafeValueError, name_character
from mailer.vocabulary.errors import TemplateError


class Styling:
    """Writes style sheets into elements. Threads may share it.

    Only what stands in `<style>` is used: nothing is loaded, from the network or from the disk, whatever a `<link>` or
    an `@import` names. What cannot be written into an element stays in its `<style>`: media queries, `:hover`.
    A part without `<html>` becomes a whole document.
    """

    def __init__(self) -> None:
        # Compiled code of its own; most campaigns do without.
        from css_inline import CSSInliner, InlineError

        self._failure = InlineError
        self._inliner = CSSInliner(
            # The library's word "remote" means local files too.
            load_remote_stylesheets=False,
            keep_link_tags=True,
            keep_style_tags=True,
            remove_inlined_selectors=True,
        )

    def apply(self, html: str) -> str:
        """The HTML with its styles in `style` attributes.

        Raises:
            UnsafeValueError: it has a character that no message can.
            TemplateError: E305.
        """
        try:
            return self._inliner.inline(html)
        except UnicodeEncodeError as error:
            raise UnsafeValueError("HTML part", f"has {name_character(error.object[error.start])}") from None
        except self._failure as error:
            raise TemplateError(
                "E305",
                "the style sheets cannot be written into the elements",
                hint="inline_css = false, or mend the <style> of the HTML part",
                cause=str(error),
            ) from error
