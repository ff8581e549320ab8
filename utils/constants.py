"""The few values in which networks and data must agree."""

IGNORE = 255  # label of pixels that do not count
LARGEST_ID = 65535  # of a label map of a user: 16 bits
WAYS = ("kway", "1way")
METHODS = ("eop", "pop", "aop")
PROTOTYPES = ("auto", "support-only", "bank")  # whose to parse with
LEAST_SIZE = 32  # pixels of the longer side that a user may ask for
PRECISIONS = ("off", "auto", "bf16", "fp16")  # mixed precision; auto: bf16 where the device is fast at it
MAX_SIDE = 2**14  # pixels of a photo's longer side that a network is given
STAGES = 3  # POPNet's; the labels of other networks are those of the last one
