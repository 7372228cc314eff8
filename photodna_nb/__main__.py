"""``python -m photodna_nb``: the command line."""

from photodna_nb.cli import script

if __name__ == "__main__":
    script()
