"""The example fleets' files, as they stand in `configs/`, packed so that an installed Rolewise has them."""
