"""What tests are made with: caches, routers and daemons to start, speakers and scripts, and ways to wait for them."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
