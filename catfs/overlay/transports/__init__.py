"""overlay/transports."""
