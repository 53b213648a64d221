"""What is estimated of a model on texts, in training and when it is measured: likelihood, information, gradients."""
