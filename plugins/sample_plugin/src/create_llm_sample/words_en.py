"""The English cast: who, what and where a story may be about."""

from __future__ import annotations

from create_llm_sample.gender import Gender
from create_llm_sample.vocabulary import words

GIRLS = words(
    "Mia Clara Nora Ivy Hazel Ruth Alma Daisy Elsie Tessa Wren June Martha Olive Penny Rosie Stella"
    " Violet Willa Maya Leila Amina Freya Greta Ingrid Lucy Poppy Robin Sadie Tilda Una Flora Edith"
    " Bea Cora Dora Esther Ada"
)
BOYS = words(
    "Tom Oscar Felix Hugo Leo Max Arthur Ben Caleb Dan Eli Finn George Henry Isaac Jack Kit Louis"
    " Milo Ned Otto Paul Ralph Sam Theo Victor Walter Amir Diego Emil Jonas Kofi Mateo Noah Rafi"
    " Silas Tobias Wes Alfie Basil"
)
ANIMAL_GIRLS = words(
    "Bramble Clover Fern Juniper Maple Nettle Pippa Plum Saffron Tansy Willow Acorn Button Cricket"
    " Dot Echo Ginger Honey Biscuit Marigold"
)
ANIMAL_BOYS = words(
    "Pip Rusty Moss Thistle Barley Ash Bumble Chestnut Dusty Flint Hopper Jasper Nibs Oats Pepper"
    " Rowan Scout Tumble Whiskers Rufus"
)

ANIMALS = words(
    "fox rabbit hedgehog squirrel mouse badger otter beaver duck goose hare bear raccoon mole"
    " deer lamb kitten puppy frog owl"
)

TRAITS = words(
    "curious shy brave careful cheerful clever dreamy gentle honest impatient kind lively patient"
    " polite proud quiet restless serious stubborn thoughtful generous bold hopeful messy playful"
    " eager clumsy sleepy talkative adventurous"
)

# What the hero likes, as it follows "liked to".
HOBBIES = (
    "draw maps of imaginary islands",
    "count the stars before bed",
    "collect smooth pebbles",
    "sing while sweeping the floor",
    "climb the tallest trees",
    "read stories by candlelight",
    "build towers out of stones",
    "watch the clouds change shape",
    "bake little cakes with raisins",
    "whistle along with the birds",
    "press flowers between the pages of old books",
    "invent riddles for the neighbors",
    "listen to the rain on the roof",
    "carve small boats from bark",
    "write letters to faraway cousins",
    "feed the sparrows at the window",
    "dance in the kitchen",
    "explore every corner of the attic",
    "paint doors in bright colors",
    "ask questions that nobody could answer",
    "mend broken toys",
    "learn the names of insects",
    "tell jokes at breakfast",
    "knit very long scarves",
)

# Where the hero lives, and what to call it afterwards.
HOMES = (
    ("a small fishing village by the sea", "the village"),
    ("a sleepy town at the foot of a mountain", "the town"),
    ("a village with crooked chimneys", "the village"),
    ("a quiet valley full of apple trees", "the valley"),
    ("a busy harbor town", "the town"),
    ("a hamlet at the edge of a great forest", "the hamlet"),
    ("a village where every door was blue", "the village"),
    ("a fishing town on a windy island", "the town"),
    ("a town of narrow streets and wide gardens", "the town"),
    ("a green valley between two hills", "the valley"),
    ("a village beside a slow brown river", "the village"),
    ("a little town known for its bells", "the town"),
    ("a farming village among fields of wheat", "the village"),
    ("an old town with a stone bridge", "the town"),
)

# A preposition and a place that it goes with.
SPOTS = (
    ("in", "forest"),
    ("by", "river"),
    ("on", "hill"),
    ("by", "lake"),
    ("in", "meadow"),
    ("on", "beach"),
    ("near", "mill"),
    ("in", "orchard"),
    ("by", "fountain"),
    ("in", "market"),
    ("near", "lighthouse"),
    ("in", "square"),
    ("by", "pond"),
    ("near", "stone bridge"),
    ("in", "garden"),
    ("behind", "barn"),
    ("by", "waterfall"),
    ("near", "railway station"),
    ("in", "vineyard"),
    ("under", "great oak"),
)

# Small things that can be carried, lost, lent and mended, and words that suit each.
THINGS = (
    ("kite", ("red", "paper", "striped", "yellow")),
    ("key", ("brass", "rusty", "tiny silver", "old iron")),
    ("lantern", ("copper", "green", "round", "tin")),
    ("scarf", ("woolen", "blue", "long striped", "orange")),
    ("drum", ("small", "wooden", "painted")),
    ("whistle", ("silver", "wooden", "tin")),
    ("compass", ("golden", "old", "pocket")),
    ("notebook", ("leather", "green", "little black")),
    ("music box", ("tiny", "ivory", "walnut")),
    ("umbrella", ("purple", "enormous", "spotted")),
    ("flute", ("bamboo", "silver", "slender")),
    ("marble", ("glass", "emerald", "cloudy blue")),
    ("basket", ("willow", "round", "sturdy")),
    ("bell", ("bronze", "small", "silver")),
    ("hat", ("straw", "velvet", "floppy green")),
    ("mirror", ("oval", "hand", "silver")),
    ("spoon", ("wooden", "silver", "carved")),
    ("teapot", ("blue", "porcelain", "chipped")),
    ("clock", ("wooden", "tiny", "stubborn old")),
    ("telescope", ("brass", "folding", "old")),
    ("feather", ("white", "peacock", "long golden")),
    ("paintbrush", ("fine", "wooden", "soft")),
    ("toy boat", ("white", "wooden", "carved")),
    ("blanket", ("patchwork", "soft gray", "woolen")),
    ("locket", ("silver", "heart-shaped", "tiny")),
    ("violin", ("small", "brown", "borrowed")),
    ("magnifying glass", ("round", "heavy", "brass")),
    ("puppet", ("wooden", "smiling", "painted")),
    ("backpack", ("canvas", "red", "patched")),
    ("jar of buttons", ("glass", "tall", "dusty")),
)

# Not to be broken and glued.
SOFT = frozenset(("scarf", "notebook", "hat", "feather", "blanket", "backpack", "paintbrush"))

GIVERS: tuple[tuple[str, Gender], ...] = (
    ("grandmother", "f"),
    ("grandfather", "m"),
    ("aunt", "f"),
    ("uncle", "m"),
    ("mother", "f"),
    ("father", "m"),
    ("godmother", "f"),
    ("cousin", "m"),
    ("older sister", "f"),
    ("older brother", "m"),
)

ELDERS: tuple[tuple[str, Gender], ...] = (
    ("Grandma Rose", "f"),
    ("Grandpa Joe", "m"),
    ("old Mr. Finch", "m"),
    ("Mrs. Applegate", "f"),
    ("Captain Bram", "m"),
    ("Aunt Matilda", "f"),
    ("Uncle Ezra", "m"),
    ("the baker", "m"),
    ("the librarian", "f"),
    ("the old shepherd", "m"),
    ("the miller", "m"),
    ("the teacher", "f"),
    ("the clockmaker", "m"),
    ("the lighthouse keeper", "m"),
    ("the old seamstress", "f"),
    ("Doctor Lind", "f"),
)
ANIMAL_ELDERS: tuple[tuple[str, Gender], ...] = (
    ("Old Tortoise", "m"),
    ("Grandmother Goose", "f"),
    ("Mr. Heron", "m"),
    ("Mrs. Toad", "f"),
    ("the wise raven", "m"),
    ("Aunt Marmot", "f"),
    ("Captain Pelican", "m"),
    ("the gray wolf", "m"),
    ("Granny Sheep", "f"),
    ("the old mare", "f"),
    ("Uncle Stork", "m"),
    ("Professor Crow", "m"),
)

FOODS = (
    "a warm loaf of bread",
    "a basket of ripe plums",
    "a pot of vegetable soup",
    "an apple pie",
    "a bowl of cherries",
    "a jar of honey",
    "a plate of pancakes",
    "a bag of roasted chestnuts",
    "a blueberry tart",
    "a pumpkin cake",
    "a tray of ginger cookies",
    "a bunch of purple grapes",
    "a cheese sandwich",
    "a pot of strawberry jam",
)
