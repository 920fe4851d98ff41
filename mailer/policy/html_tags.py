"""Tags: where one ends, whatever the values of its attributes hold (the HTML standard, section 13.2.5)."""

TAG_REST = r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+'|))*+(?:>|\Z)"""
"""An expression for the rest of a tag, after its `<` and the first character of its name.

It never fails: a tag without an end takes all there is. So whoever goes from tag to tag sees every character once.
"""
