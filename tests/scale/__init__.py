"""`make bench-scale`: what fleets of 1 to 1,000 bots on 1 to 100 hosts cost the controller and Prometheus."""
