"""The few values in which networks and data must agree."""

IGNORE = 255  # label of pixels that do not count
WAYS = ("kway", "1way")
METHODS = ("eop", "pop")
PROTOTYPES = ("auto", "support-only", "bank")  # whose to parse with
STAGES = 3  # POPNet's; EOPNet's labels are those of the last one
