"""What is seen of a fleet: who talks to whom, who waits for whom, which role matters most."""
