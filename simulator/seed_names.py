"""The words a seeded company is made of.

Invented people; `.example` is a reserved name (RFC 2606).
"""

from typing import NamedTuple


class City(NamedTuple):
    name: str
    state: str
    country: str
    postal_code: str
    street: str
    office: str
    language: str
    usage_location: str
    dialling_code: str


_GIVEN_NAMES = """
Ada Adele Aiko Alba Aleksander Alma Amara Amir Ana Anders Anouk Arjun Astrid Ayşe Bao Beatriz Bela
Benedikt Björn Bo Camille Carlos Carmen Chen Chidi Chloé Clara Dalia Daniel Dara David Diego Dina Dmitri
Ebba Edith Eero Elena Elif Emeka Emil Emma Enzo Erik Esther Eva Fadi Farah Fatima Felix Filip Fiona
Florian Frida Gabriel Gita Giulia Grace Greta Gunnar Hana Hannah Haruto Hassan Heidi Helena Hugo Ibrahim
Ida Igor Ilse Imani Ines Ingrid Irina Isaac Isla Ivan Jack Jana Jasper Jean Joana Johan Jonas José Julia
Kaito Karim Karin Katya Keiko Kenji Kiran Klara Kofi Lara Lars Laura Leila Lena Leo Liam Lin Lina Louis
Lucía Luka Mads Magda Mai Malik Manuel Mara Marco Maria Marta Mateo Matilda Max Mei Mia Mikael Milan Mina
Miriam Mohamed Mona Nadia Naomi Nico Nia Nils Nina Noah Nora Obi Ola Oleg Olga Oliver Omar Oskar Otto
Paula Pedro Petra Priya Rafael Rahul Rania René Rita Robin Rosa Ruth Sami Samuel Sara Selma Sergei Simon
Siri Sofia Søren Sven Tara Tariq Teresa Theo Thora Tomás Ulla Uma Valentina Vera Victor Vikram Viola
Wanda Wei Yara Yasmin Yuki Yusuf Zara Zoë Zofia
"""

_SURNAMES = """
Abara Adler Aguilar Ahmed Albrecht Almeida Andersen Araújo Baker Bakshi Banerjee Barros Bauer Becker
Bello Berg Bianchi Blom Bonnet Borg Brandt Brown Bruun Cabral Campbell Castro Chen Chowdhury Clarke Cohen
Colombo Costa Cruz Dahl Das Delgado Demir Diallo Dubois Duarte Dvořák Eder Egger Eriksen Esposito Eze
Farkas Fernández Fischer Fontaine Foster Fujita Gallo García Georgiou Ghosh Girard Gomes Graf Greene
Gruber Gupta Haas Haddad Hall Hansen Harris Hartmann Hayashi Heikkinen Herrera Hoffmann Holm Horváth
Huang Hussain Ibáñez Ito Ivanova Jansen Jensen Johansson Jones Joshi Kaya Keller Khalil Khan Kim Kimura
Kone Kovács Kowalski Krüger Kumar Lambert Larsen Laurent Lehmann Lewis Li Lima Lindgren Liu López Lund
Maier Malik Marino Marsh Martin Mbeki Medina Mehta Mendes Meyer Mitchell Moreau Moreno Mori Müller Murphy
Nagy Nakamura Navarro Ndiaye Nguyen Nielsen Novak Nowak Okafor Olsen Omar Ortega Osei Owusu Park Patel
Pavlov Pereira Petrov Popescu Quinn Rahman Ramos Rao Ricci Rivera Roberts Romano Rossi Roux Ruiz Sato
Schmidt Schneider Sei Shah Sharma Silva Singh Smith Sørensen Sousa Stein Suzuki Svensson Szabó Takeda
Tanaka Taylor Thomsen Torres Tran Turner Ueda Usman Vargas Vega Virtanen Vogel Wagner Walker Wang Weber
Wójcik Wolf Wong Wright Yamada Yang Yilmaz Young Zhang Zhou Zimmermann
"""

GIVEN_NAMES = tuple(_GIVEN_NAMES.split())
SURNAMES = tuple(_SURNAMES.split())

DEPARTMENTS = (
    "Records",
    "Engineering",
    "Sales",
    "Finance",
    "Operations",
    "Human Resources",
    "Legal",
    "Marketing",
    "Customer Support",
    "Research",
    "Quality",
    "Facilities",
)

TITLES = (
    "Analyst",
    "Senior Analyst",
    "Engineer",
    "Senior Engineer",
    "Team Lead",
    "Coordinator",
    "Specialist",
    "Consultant",
    "Director",
    "Assistant",
    "Planner",
    "Auditor",
)

GROUP_PURPOSES = (
    "Staff",
    "Assessors",
    "Reviewers",
    "Projects",
    "Approvers",
    "Contractors",
    "On Call",
    "Travel",
    "Training",
    "Newcomers",
)

CITIES = (
    City("Lisbon", "Lisboa", "Portugal", "1100-148", "Rua Augusta 12", "LIS 3/12", "pt-PT", "PT", "+351 21"),
    City("Oslo", "Oslo", "Norway", "0150", "Skippergata 4", "OSL 2/07", "nb-NO", "NO", "+47 22"),
    City("Nairobi", "Nairobi", "Kenya", "00100", "Moi Avenue 88", "NBO 1/01", "en-GB", "KE", "+254 20"),
    City(
        "Seattle", "WA", "United States", "98101", "400 Pine Street", "SEA 14/1402", "en-US", "US", "+1 206"
    ),
    City("Munich", "Bayern", "Germany", "80331", "Sendlinger Straße 9", "MUC 5/03", "de-DE", "DE", "+49 89"),
    City("Osaka", "Osaka", "Japan", "530-0001", "Umeda 3-1", "OSA 8/20", "ja-JP", "JP", "+81 6"),
    City(
        "Bengaluru", "Karnataka", "India", "560001", "Church Street 21", "BLR 6/61", "en-IN", "IN", "+91 80"
    ),
    City("Kraków", "Małopolska", "Poland", "31-011", "Rynek Główny 30", "KRK 2/02", "pl-PL", "PL", "+48 12"),
)
