"""The command `kltransfer-eval`: how good the agent of a run is, in numbers, as a video, by its latents."""
