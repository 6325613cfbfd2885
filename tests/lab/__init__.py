"""What tests are made with: caches, routers and daemons to start, speakers and scripts, and ways to wait for them."""
