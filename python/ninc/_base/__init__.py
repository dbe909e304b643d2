"""What every other room uses and users do not see: arguments checked, files written, progress."""
