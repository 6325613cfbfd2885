"""The RTR protocol: an effective VRP set enters, routers are served (relay and `rtrd cache`)."""
