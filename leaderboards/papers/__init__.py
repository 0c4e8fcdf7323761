"""Tables and figures for papers."""
