"""Hydra's view of `kltransfer.sweep`: two launchers and a sweeper."""
