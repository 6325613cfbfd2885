"""The VRPs in force: one effective set of all that caches and files say."""
