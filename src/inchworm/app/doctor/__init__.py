"""``inchworm doctor``: what is seen of an installation, what is wrong with it, and the command that mends it.

Findings are pure functions of observations (:mod:`~inchworm.app.doctor.checks`,
:mod:`~inchworm.app.doctor.traffic`); a thin shell observes (:mod:`~inchworm.app.doctor.observe`). It changes
nothing: no file is made, no store migrated, no key sent.
"""
