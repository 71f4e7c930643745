"""Plans: the ordered stages that take a fleet from one release to another, checked beforehand."""
