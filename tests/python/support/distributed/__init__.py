"""Several workers, however they are begun."""
