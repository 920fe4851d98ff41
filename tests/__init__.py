"""The promises of this house, kept by running them."""
