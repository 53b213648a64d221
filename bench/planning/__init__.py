"""From a request to runs, targets, costs and resources."""
