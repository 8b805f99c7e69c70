"""Your data, as the questions in answers.yaml need it.

labctl exec stage0-transformer -- python show.py
"""

from data import mine

session = mine()
width, heads = session.sizes()
encoding, distance = session.distance()
task = session.two_places()
print(f"step 2, layout of a word's 20 features: {session.layout()}")
print(f"step 2, each of 12 tokens looks at: {session.cycle()[1]}")
print(f"step 3, position i needs the first half of {task.first}[i], numbers of standard deviation {task.first_std},")
print(f"        and the second half of {task.second}[i], numbers of standard deviation {task.second_std}")
print(f"step 3, parameters: width {width}, {heads} heads")
print(f"step 4, encoding: width {encoding}, distance {distance}")
