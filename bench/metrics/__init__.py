"""What is measured: likelihood, information, reconstruction, diversity, gradients."""
