"""The Spanish cast: who, what and where a story may be about. Adjectives are masculine here."""

from __future__ import annotations

from create_llm_sample.gender import Gender
from create_llm_sample.vocabulary import words

GIRLS = words(
    "Ana Lucía Carmen Elena Sofía Marta Julia Irene Paula Clara Nuria Rosa Valeria Inés Teresa"
    " Alicia Beatriz Camila Daniela Emilia Gabriela Laura Lola Luisa Manuela Mariana Noelia Olga"
    " Pilar Raquel Sara Silvia Violeta Ximena Aurora Celia Fátima Jimena"
)
BOYS = words(
    "Tomás Diego Mateo Lucas Hugo Pablo Andrés Bruno Carlos Daniel Emilio Felipe Gabriel Ignacio"
    " Javier Julián Leo Manuel Marcos Martín Nicolás Óscar Pedro Rafael Ramón Samuel Santiago"
    " Sergio Simón Víctor Álvaro Adrián Benjamín Esteban Gonzalo Iván Joaquín Rodrigo"
)
ANIMAL_GIRLS = words(
    "Canela Nube Pecas Mora Lila Miel Brisa Perla Chispa Avellana Menta Luna Amapola Cereza"
    " Estrella Nieve Paloma Pimienta Trufa Vainilla"
)
ANIMAL_BOYS = words(
    "Pipo Roque Trébol Saltarín Chispín Tomillo Romero Pompón Bigotes Lino Nuño Tito Bolo Rufo"
    " Cometa Fresno Botón Grillo Copo Rayo"
)

ANIMALS: dict[Gender, tuple[str, ...]] = {
    "f": words(
        "coneja ratita osita patita gatita perrita ovejita gansa ardilla nutria tortuga lechuza"
        " burrita liebre cierva cabrita rana marmota golondrina garza"
    ),
    "m": words(
        "zorro conejo ratón oso pato gato perrito cordero ganso erizo burrito lobezno pollito"
        " castor topo mapache mirlo ciervo búho tejón"
    ),
}

TRAITS = words(
    "curioso tímido valiente cuidadoso alegre ingenioso soñador dulce honesto impaciente bondadoso"
    " inquieto paciente amable orgulloso callado serio terco pensativo generoso audaz risueño"
    " desordenado juguetón travieso torpe dormilón parlanchín aventurero optimista"
)

# What the hero likes, as it follows "le gustaba".
HOBBIES = (
    "dibujar mapas de islas imaginarias",
    "contar las estrellas antes de dormir",
    "coleccionar piedras lisas",
    "cantar mientras barría el suelo",
    "trepar a los árboles más altos",
    "leer cuentos a la luz de una vela",
    "construir torres con guijarros",
    "mirar cómo cambiaban de forma las nubes",
    "hornear pastelitos con pasas",
    "silbar con los pájaros",
    "guardar flores secas entre las páginas de los libros",
    "inventar adivinanzas para los vecinos",
    "escuchar la lluvia sobre el tejado",
    "tallar barquitos de corteza",
    "escribir cartas a sus primos lejanos",
    "dar migas a los gorriones de la ventana",
    "bailar en la cocina",
    "explorar cada rincón del desván",
    "pintar las puertas de colores vivos",
    "hacer preguntas que nadie sabía contestar",
    "arreglar juguetes rotos",
    "aprender los nombres de los insectos",
    "contar chistes durante el desayuno",
    "tejer bufandas larguísimas",
)

# Where the hero lives, and what to call it afterwards.
HOMES = (
    ("una aldea de pescadores junto al mar", "la aldea"),
    ("un pueblo tranquilo al pie de una montaña", "el pueblo"),
    ("un pueblo de chimeneas torcidas", "el pueblo"),
    ("un valle lleno de manzanos", "el valle"),
    ("un puerto ruidoso y alegre", "el puerto"),
    ("un caserío al borde de un gran bosque", "el caserío"),
    ("una aldea donde todas las puertas eran azules", "la aldea"),
    ("una isla ventosa con un solo faro", "la isla"),
    ("una villa de calles estrechas y jardines anchos", "la villa"),
    ("un valle verde entre dos colinas", "el valle"),
    ("un pueblo blanco a la orilla de un río lento", "el pueblo"),
    ("una villa famosa por sus campanas", "la villa"),
    ("un pueblo de labradores rodeado de trigo", "el pueblo"),
    ("una villa antigua con un puente de piedra", "la villa"),
)

# A preposition, a place that it goes with, and the gender of the place.
SPOTS: tuple[tuple[str, str, Gender], ...] = (
    ("en", "bosque", "m"),
    ("junto a", "río", "m"),
    ("en", "colina", "f"),
    ("junto a", "lago", "m"),
    ("en", "pradera", "f"),
    ("en", "playa", "f"),
    ("cerca de", "molino", "m"),
    ("en", "huerto", "m"),
    ("junto a", "fuente", "f"),
    ("en", "mercado", "m"),
    ("cerca de", "faro", "m"),
    ("en", "plaza", "f"),
    ("junto a", "estanque", "m"),
    ("cerca de", "puente", "m"),
    ("en", "jardín", "m"),
    ("detrás de", "granero", "m"),
    ("junto a", "cascada", "f"),
    ("cerca de", "estación", "f"),
    ("en", "viña", "f"),
    ("bajo", "encina", "f"),
)

# Small things that can be carried, lost, lent and mended, and words that suit each.
THINGS: tuple[tuple[str, Gender, tuple[str, ...]], ...] = (
    ("cometa", "f", ("rojo", "de papel", "amarillo")),
    ("llave", "f", ("oxidado", "de bronce", "diminuto")),
    ("farol", "m", ("verde", "de cobre", "redondo")),
    ("bufanda", "f", ("de lana", "azul", "anaranjado")),
    ("tambor", "m", ("pequeño", "de madera", "pintado")),
    ("silbato", "m", ("plateado", "de madera", "de hojalata")),
    ("brújula", "f", ("dorado", "antiguo", "de bolsillo")),
    ("cuaderno", "m", ("negro", "verde", "de cuero")),
    ("caja de música", "f", ("diminuto", "de nogal", "azul")),
    ("paraguas", "m", ("morado", "enorme", "de lunares")),
    ("flauta", "f", ("plateado", "de caña", "fino")),
    ("canica", "f", ("de cristal", "verde", "transparente")),
    ("cesta", "f", ("de mimbre", "redondo", "ligero")),
    ("campanilla", "f", ("de bronce", "pequeño", "plateado")),
    ("sombrero", "m", ("de paja", "verde", "blando")),
    ("espejo", "m", ("ovalado", "de mano", "plateado")),
    ("cuchara", "f", ("de madera", "plateado", "tallado")),
    ("tetera", "f", ("azul", "de porcelana", "blanco")),
    ("reloj", "m", ("de madera", "diminuto", "antiguo")),
    ("catalejo", "m", ("plegable", "de latón", "viejo")),
    ("pluma", "f", ("blanco", "de pavo real", "dorado")),
    ("pincel", "m", ("fino", "de madera", "suave")),
    ("barquito", "m", ("blanco", "de madera", "tallado")),
    ("manta", "f", ("de retales", "gris", "suave")),
    ("medallón", "m", ("de plata", "redondo", "diminuto")),
    ("violín", "m", ("pequeño", "marrón", "barnizado")),
    ("lupa", "f", ("redondo", "pesado", "de latón")),
    ("marioneta", "f", ("de madera", "sonriente", "pintado")),
    ("mochila", "f", ("de lona", "rojo", "remendado")),
    ("linterna", "f", ("pequeño", "amarillo", "de hierro")),
)

# Not to be broken and glued.
SOFT = frozenset(("bufanda", "cuaderno", "sombrero", "pluma", "manta", "mochila", "pincel"))

GIVERS: tuple[tuple[str, Gender], ...] = (
    ("abuela", "f"),
    ("abuelo", "m"),
    ("tía", "f"),
    ("tío", "m"),
    ("madre", "f"),
    ("padre", "m"),
    ("madrina", "f"),
    ("primo", "m"),
    ("hermana mayor", "f"),
    ("hermano mayor", "m"),
)

ELDERS: tuple[tuple[str, Gender], ...] = (
    ("la abuela Rosario", "f"),
    ("el abuelo Anselmo", "m"),
    ("don Eusebio", "m"),
    ("doña Remedios", "f"),
    ("el capitán Barragán", "m"),
    ("la tía Matilde", "f"),
    ("el tío Ezequiel", "m"),
    ("el panadero", "m"),
    ("la bibliotecaria", "f"),
    ("el viejo pastor", "m"),
    ("el molinero", "m"),
    ("la maestra", "f"),
    ("el relojero", "m"),
    ("el farero", "m"),
    ("la vieja costurera", "f"),
    ("la doctora Linares", "f"),
)
ANIMAL_ELDERS: tuple[tuple[str, Gender], ...] = (
    ("el viejo sapo", "m"),
    ("la abuela Oca", "f"),
    ("doña Cigüeña", "f"),
    ("don Ciempiés", "m"),
    ("el sabio cuervo", "m"),
    ("la tía Mula", "f"),
    ("el capitán Pelícano", "m"),
    ("el lobo gris", "m"),
    ("la señora Vaca", "f"),
    ("la vieja yegua", "f"),
    ("el tío Jabalí", "m"),
    ("el profesor Grajo", "m"),
)

FOODS = (
    "una hogaza de pan caliente",
    "una cesta de ciruelas maduras",
    "una olla de sopa de verduras",
    "una tarta de manzana",
    "un cuenco de cerezas",
    "un tarro de miel",
    "un plato de buñuelos",
    "una bolsa de castañas asadas",
    "un pastel de arándanos",
    "un bizcocho de calabaza",
    "una bandeja de galletas de jengibre",
    "un racimo de uvas moradas",
    "un bocadillo de queso",
    "un frasco de mermelada de fresa",
)
