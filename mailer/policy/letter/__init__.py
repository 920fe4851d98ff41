"""The letter: a template in one file, header lines, a blank line and the body, as mailmerge has it."""
