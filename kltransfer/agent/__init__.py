"""What an agent is: distributions, networks, priors, and the modules that act."""
