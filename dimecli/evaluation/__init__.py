"""What is measured of a run: the host of metrics and classifiers, and the record of what they found."""
