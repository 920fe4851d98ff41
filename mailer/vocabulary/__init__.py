"""The words of this house: frozen data, closed sets of states and phases, errors. No I/O, no third party."""
