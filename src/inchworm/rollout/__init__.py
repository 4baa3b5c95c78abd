"""Step 5 of the loop: one layer, a small share of the traffic, compared side by side; expand or roll back.

``transitions`` is the table of what follows what. ``monitor`` turns units into evidence, ``decide`` turns
evidence into a decision (both pure), ``controller`` carries decisions out and ``commands`` does the same for
people. A decision keeps the evidence it saw, so that it can be recomputed to the bit.
"""
