"""What the commands share: help, the check of overrides before anything is loaded, and the frame around a job."""
