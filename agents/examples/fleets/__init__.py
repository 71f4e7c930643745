"""The example fleets' files, as in `configs/`, packed so that an installed Rolewise has them."""
