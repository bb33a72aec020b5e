"""Hierarchical KL-regularised reinforcement learning and transfer (Tirumala et al. 2019)."""

__version__ = "0.1.0"
