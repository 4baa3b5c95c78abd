"""Words that the name detector must know: titles, particles, and what is never a name after a cue."""

from __future__ import annotations

from typing import Final


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


TITLES: Final = words(
    "mr mrs ms mx miss dr prof professor sir madam madame mme mlle monsieur herr herrn frau señor señora "
    "sr sra "
    "signor signora mevrouw meneer dhr mevr"
)
"""Forms of address, case-folded."""

PARTICLES: Final = words(
    "van von der den de la le du da di del della dos das bin ibn al el ten ter af zu zum zur y e san bint abu"
)
"""Small words inside names, case-folded."""

AMBIGUOUS: Final = words(
    "will mark rose may grace hope bill grant art drew jack pat rob sue faith joy dawn april june august "
    "summer "
    "autumn amber ruby pearl crystal ivy lily daisy iris violet heather hazel olive ginger penny frank "
    "ernest "
    "chase miles gene guy ray rich chip cliff dale glen heath reed rusty sandy sonny sky brown white "
    "black green "
    "young long short king price page post banks brooks fields hill woods stone wood rivers lane park day "
    "power best love case bell ball baker cook carter mason miller smith taylor walker weber tent field"
)
"""First and last names that are ordinary words too, case-folded."""

NOT_NAMES: Final = words(
    # pronouns, articles, conjunctions, prepositions, question words
    "i you he she it we they me him her us them my your his its our their this that these those the a an "
    "and or "
    "but nor so yet for of in on at to from by with without about into over under after before between "
    "during "
    "as if when while where what who whom whose which why how than then there here because since until "
    "although "
    "not no yes ok okay please also only just still even ever never always again once more most less very "
    "too "
    "quite rather really truly actually finally currently already now today tomorrow yesterday tonight "
    "soon later "
    # verbs and adjectives that follow "I am", "this is", "my name is"
    "am is are was were be been being do does did done have has had having can could will would shall "
    "should may "
    "might must looking writing trying calling asking wondering having waiting using getting going "
    "interested "
    "happy sad sorry glad sure unsure unable able afraid aware new old late early ready busy angry upset "
    "disappointed frustrated confused curious excited satisfied pleased fine good great bad well better best "
    "worse worst wrong right correct incorrect misspelled important required missing different same similar "
    "absolutely totally completely extremely urgent ridiculous unacceptable amazing awesome wonderful "
    "excellent "
    "perfect terrible horrible awful nice lovely cool one two three first second last next another other "
    "any all "
    "some many much few several each every both either neither none nothing something everything anything "
    "someone everyone anyone nobody everybody somebody anybody "
    # whom greetings address, and what thanks are for
    "team there everyone folks guys friends friend support customer customers client clients service "
    "services "
    "help desk helpdesk sirs ladies gentlemen gentleman colleague colleagues valued member members user "
    "users "
    "admin administrator hr reader world bot assistant chatbot robot ai shop store world hello hi hey "
    "dear good "
    "morning afternoon evening night day welcome back thanks thank regards cheers best kind kindly "
    "greetings bye "
    "goodbye sincerely yours love advance help answer reply time understanding patience information quick "
    "question questions short long great everybody mate buddy man folks sir madam sirs damen herren kunde "
    "kundin kundenservice zusammen allerseits equipo equipe alle tous "
    # nouns and names of things that cues run into
    "company business order orders account accounts number phone mobile email e-mail mail address password "
    "website site app product products item items issue problem invoice bill payment card bank credit debit "
    "monday tuesday wednesday thursday friday saturday sunday january february march april june july august "
    "september october november december spring winter english german french spanish italian dutch swedish "
    "danish norwegian finnish polish czech russian ukrainian turkish greek portuguese american british "
    "canadian "
    "australian european asian african indian chinese japanese korean mexican brazilian irish scottish welsh "
    "swiss austrian belgian hungarian romanian bulgarian serbian croatian israeli arab muslim christian "
    "jewish "
    "catholic hindu buddhist vegan vegetarian germany france spain italy england britain scotland ireland "
    "wales "
    "europe america usa uk eu usd eur gbp london paris berlin madrid rome amsterdam vienna munich hamburg "
    "amazon google microsoft apple facebook openai anthropic paypal visa mastercard amex ios android windows "
    "linux mac iphone ipad python java json api http https html css sql xml url pdf csv id faq vip ceo "
    "cto cfo "
    # the same for the other languages of the cues
    "ich du er sie es wir ihr der die das den dem ein eine einer und oder aber nicht kein keine mit von "
    "aus bei "
    "auf für über bitte danke sehr hier dort heute morgen gestern auch noch schon nur leider neu seit sicher "
    "interessiert zufrieden enttäuscht je tu il elle nous vous ils un une des les et ou mais pas avec "
    "pour dans "
    "sur très ici yo tú él ella nosotros no sí con por para muy aquí estoy soy het een en maar niet met voor "
    "ik jij wij hij zij och inte med för jag att som null undefined none string object unknown anonymous "
    "type text value name names user system function tool role content message messages default"
)
