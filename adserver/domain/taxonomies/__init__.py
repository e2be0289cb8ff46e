"""Published category trees as data; ``README.md`` beside this file says whose and how read."""
