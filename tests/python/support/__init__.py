"""What several rooms of tests need: small networks, pictures, runs, and files to try them with."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]  # of the repository
