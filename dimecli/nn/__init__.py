"""Building blocks of networks and objectives."""
