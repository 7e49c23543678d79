"""What the commands take where the user names nothing."""

DEFAULTS = {
    "objective": "dime",
    "dataset": "digits",
    "sentences": "sentences",
    "network": "mlp",
    "image network": "dime-conv",
    "grammar": "expressions",
    "density": "gmm",
    "classifier": "linear",
    "search": "bo",
    "baselines": "random,pcfg",
    "arithmetic": "expression-regression",
    "function": "python",
    "program": "command",
    "here": "serial",
    "elsewhere": "processes",
}
