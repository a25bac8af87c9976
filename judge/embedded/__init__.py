"""The parts of the embedded scorer: what it reads, its heads, its evidence, its training.

fold        text without disguises, with offsets back into the original
windows     the bounded pieces that the sentence encoder reads
refusal     the refusal pattern, and the surface features beside it
stance      pieces -> P(refuses or warns)
pii         personal data by rule
evidence    hashed n-gram heads over the whole text
weights     the shipped files: loading, hashes, model card
ordinary    ordinary answers of our own, which the heads must not take for harm
training    published data -> weights       (needs the extra `train`)
measure     published data -> quality table and model card
"""
