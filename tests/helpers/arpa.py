"""An n-gram model that can be followed by hand, as an ARPA file."""

SMALL = """
\\data\\
ngram 1=6
ngram 2=4
ngram 3=2

\\1-grams:
-1.5	<unk>
-99	<s>	-0.3
-0.6	</s>
-0.5	a	-0.2
-0.7	b	-0.1
-0.9	<space>	-0.05

\\2-grams:
-0.1	<s> a	-0.4
-0.4	a b	-0.25
-0.2	b </s>
-0.3	b <space>

\\3-grams:
-0.05	<s> a b
-0.15	a b </s>

\\end\\
"""
