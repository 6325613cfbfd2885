"""VRPs in: what caches and files say enters, one effective VRP set leaves."""
