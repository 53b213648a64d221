"""What is measured of a finished run: reconstruction, diversity, attributes, and the tables they go to."""
