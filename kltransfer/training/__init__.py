"""How an agent learns: experience, Retrace, losses, updates, and the rounds of actor and learner."""
